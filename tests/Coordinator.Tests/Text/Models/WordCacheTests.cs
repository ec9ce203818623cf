using TensorParallel.Coordinator.Text.Models;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Text.Models;

public sealed class WordCacheTests
{
    [Fact]
    public void ForgetsOldWordsAndKeepsUsedOnes()
    {
        var cache = new WordCache();
        cache.Add("kept", [1, 2]);
        cache.Add("unused", [3]);
        for (var i = 0; i < 200_000; i++)
        {
            cache.Add($"word{i}", [i]);
            if (i % 1000 == 0)
            {
                Assert.Equal([1, 2], cache.Find("kept")!);
            }
        }

        Assert.Null(cache.Find("unused"));
        Assert.Null(cache.Find("word0"));
        Assert.Equal([199_999], cache.Find("word199999")!);
        var remembered = Enumerable.Range(0, 200_000).Count(i => cache.Find($"word{i}") is not null);
        Assert.InRange(remembered, 30_000, 70_000);
    }
}
