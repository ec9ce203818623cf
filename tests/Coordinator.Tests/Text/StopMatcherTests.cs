using System.Text;
using TensorParallel.Coordinator.Text;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Text;

public sealed class StopMatcherTests
{
    [Fact]
    public void HoldsBackABeginning()
    {
        var matcher = new StopMatcher(["END"]);
        Assert.Equal(new StopResult("I s", null), matcher.Append("I sEN"));
        Assert.Equal(new StopResult("ENT", null), matcher.Append("T"));
        Assert.Equal(new StopResult("x", "END"), matcher.Append("xEND."));
    }

    [Fact]
    public void WithoutStopsNothingIsHeld()
    {
        var matcher = new StopMatcher([]);
        Assert.Equal(new StopResult("any text", null), matcher.Append("any text"));
        Assert.Equal("", matcher.Flush());
    }

    [Fact]
    public void FlushGivesWhatWasHeld()
    {
        var matcher = new StopMatcher(["stop"]);
        Assert.Equal(new StopResult("a ", null), matcher.Append("a sto"));
        Assert.Equal("sto", matcher.Flush());
    }

    [Fact]
    public void DropsTheStopStringAndAllBehind()
    {
        var matcher = new StopMatcher(["\n\n", "###"]);
        Assert.Equal(new StopResult("a", null), matcher.Append("a#"));
        Assert.Equal(new StopResult("#b", "\n\n"), matcher.Append("b\n\n### c"));
        Assert.Equal(new StopResult("", "\n\n"), matcher.Append("more"));
        Assert.Equal("", matcher.Flush());
    }

    [Fact]
    public void TheFirstToBeCompleteWinsThenTheLongest()
    {
        Assert.Equal(new StopResult("xa", "bc"), new StopMatcher(["abcd", "bc"]).Append("xabcd"));
        Assert.Equal(new StopResult("x", "abc"), new StopMatcher(["bc", "abc", "c"]).Append("xabc"));
        Assert.Equal(new StopResult("x", "a"), new StopMatcher(["ab", "a"]).Append("xab"));
    }

    [Fact]
    public void RefusesAnEmptyStopString() => Assert.Throws<ArgumentException>(() => new StopMatcher(["a", ""]));

    /// <summary>Any cutting of the text gives what a plain search in the whole text finds.</summary>
    [Fact]
    public void RandomTextsInRandomPieces()
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        for (var round = 0; round < 3000; round++)
        {
            var stops = Enumerable.Range(0, random.Next(1, 5)).Select(_ => RandomText(random, 1, 5)).ToArray();
            var text = RandomText(random, 0, 30);
            var (expected, stop) = Search(text, stops);

            var matcher = new StopMatcher(stops);
            var shown = new StringBuilder();
            StopResult last = default;
            for (var at = 0; at < text.Length;)
            {
                var next = Math.Min(text.Length, at + random.Next(1, 4));
                last = matcher.Append(text[at..next]);
                shown.Append(last.Text);
                at = next;
                Assert.StartsWith(shown.ToString(), expected, StringComparison.Ordinal);
            }

            shown.Append(matcher.Flush());
            Assert.True(
                shown.ToString() == expected && last.Stop == stop,
                $"seed {seed}: '{text}' with {string.Join('|', stops)} gave '{shown}' ({last.Stop}), not '{expected}'");
        }
    }

    /// <summary>What is shown at once is all that cannot become a stop string any more.</summary>
    [Fact]
    public void HoldsBackNoMoreThanNeeded()
    {
        var random = new Random(7);
        for (var round = 0; round < 2000; round++)
        {
            var stops = Enumerable.Range(0, random.Next(1, 4)).Select(_ => RandomText(random, 2, 5)).ToArray();
            var text = RandomText(random, 0, 12);
            var result = new StopMatcher(stops).Append(text);
            if (!result.Stopped)
            {
                var held = Enumerable.Range(0, text.Length + 1).First(at =>
                    at == text.Length || stops.Any(s => s.StartsWith(text[at..], StringComparison.Ordinal)));
                Assert.Equal(text[..held], result.Text);
            }
        }
    }

    private static string RandomText(Random random, int least, int most) =>
        new(random.GetItems<char>("abc", random.Next(least, most + 1)));

    private static (string Text, string? Stop) Search(string text, string[] stops)
    {
        for (var end = 1; end <= text.Length; end++)
        {
            var found = stops.Where(s => text[..end].EndsWith(s, StringComparison.Ordinal)).MaxBy(s => s.Length);
            if (found is not null)
            {
                return (text[..(end - found.Length)], found);
            }
        }

        return (text, null);
    }
}
