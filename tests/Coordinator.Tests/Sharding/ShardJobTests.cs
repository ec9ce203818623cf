using TensorParallel.Coordinator.Sharding;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Sharding;

/// <summary>Shard jobs of one folder, in one process: the lock is that of the file.</summary>
public sealed class ShardJobTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Set => Path.Combine(_folder.File("root"), "set");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_set_is_written_by_one_at_a_time_and_the_lock_leaves_nothing()
    {
        using (ShardJob.Lock(Set))
        {
            var refused = Assert.Throws<ShardRunException>(() => ShardJob.Lock(Set));
            Assert.Contains("another process makes these shards now", refused.Message, StringComparison.Ordinal);
            ShardJob.Lock(Path.Combine(_folder.File("root"), "other")).Dispose();
        }

        Assert.Empty(Directory.GetFileSystemEntries(_folder.File("root")));
        ShardJob.Lock(Set).Dispose();
    }

    [Fact]
    public void A_place_that_cannot_be_made_is_named()
    {
        File.WriteAllText(_folder.File("root"), "a file");

        var refused = Assert.Throws<ShardRunException>(() => ShardJob.Lock(Set));

        Assert.StartsWith($"{_folder.File("root")}: the folder for shards cannot be made", refused.Message, StringComparison.Ordinal);
    }

    /// <summary>A job that failed removes the root if it is empty, at any moment of another one's start.</summary>
    [Fact]
    public async Task Jobs_that_come_and_go_at_once_neither_share_a_turn_nor_lose_their_folder()
    {
        var (inside, turns) = (0, 0);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < 2000; i++)
            {
                try
                {
                    using var turn = ShardJob.Lock(Set);
                    Assert.Equal(1, Interlocked.Increment(ref inside));
                    Interlocked.Increment(ref turns);
                    Interlocked.Decrement(ref inside);
                }
                catch (ShardRunException refused)
                {
                    Assert.DoesNotContain("Could not find", refused.Message, StringComparison.Ordinal);
                }

                ShardJob.RemoveIfEmpty(_folder.File("root"));
            }
        })));

        Assert.InRange(turns, 1, 4 * 2000);
    }
}
