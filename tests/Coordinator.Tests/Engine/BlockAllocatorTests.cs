using TensorParallel.Coordinator.Engine;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Engine;

public sealed class BlockAllocatorTests
{
    [Fact]
    public void Blocks_are_given_out_once_and_come_back()
    {
        var allocator = new BlockAllocator(5);
        var blocks = Enumerable.Range(0, 5).Select(_ => allocator.Allocate()).ToArray();
        Assert.Equal([0, 1, 2, 3, 4], blocks.Order());
        Assert.Equal(0, allocator.FreeCount);
        Assert.Throws<InvalidOperationException>(() => allocator.Allocate());

        allocator.Release(3);
        Assert.Equal(3, allocator.Allocate());
    }

    [Fact]
    public void A_shared_block_is_free_after_its_last_holder()
    {
        var allocator = new BlockAllocator(2);
        var block = allocator.Allocate();
        allocator.Share(block);
        allocator.Release(block);
        Assert.Equal(1, allocator.FreeCount);
        allocator.Release(block);
        Assert.Equal(2, allocator.FreeCount);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    [InlineData(-1)]
    public void Releasing_or_sharing_what_nobody_holds_throws(int block)
    {
        var allocator = new BlockAllocator(2);
        allocator.Release(allocator.Allocate());
        Assert.Contains($"KV block {block}",
            Assert.Throws<InvalidOperationException>(() => allocator.Release(block)).Message);
        Assert.Throws<InvalidOperationException>(() => allocator.Share(block));
        Assert.Equal(2, allocator.FreeCount);
    }

    [Fact]
    public void Counts_hold_through_random_use()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        var allocator = new BlockAllocator(17);
        var held = new List<int>();
        for (var i = 0; i < 5000; i++)
        {
            switch (random.Next(3))
            {
                case 0 when allocator.FreeCount > 0:
                    var block = allocator.Allocate();
                    Assert.DoesNotContain(block, held);
                    held.Add(block);
                    break;
                case 1 when held.Count is > 0 and < 60:
                    var shared = held[random.Next(held.Count)];
                    allocator.Share(shared);
                    held.Add(shared);
                    break;
                case 2 when held.Count > 0:
                    var at = random.Next(held.Count);
                    allocator.Release(held[at]);
                    held.RemoveAt(at);
                    break;
            }

            Assert.True(allocator.FreeCount == 17 - held.Distinct().Count(), $"seed {seed}");
        }
    }
}
