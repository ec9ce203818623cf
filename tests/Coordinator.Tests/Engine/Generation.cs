using TensorParallel.Protocol.Generation;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Engine;

/// <summary>All that one generation gave.</summary>
internal sealed record Generation(
    IReadOnlyList<int> Ids, string Text, GenerateEvent.Finished? Finished, Exception? Error)
{
    /// <summary>Reads to the end, or to the error.</summary>
    public static async Task<Generation> ReadAsync(IAsyncEnumerable<GenerateEvent> events)
    {
        var ids = new List<int>();
        var text = string.Empty;
        GenerateEvent.Finished? finished = null;
        try
        {
            await foreach (var generated in events)
            {
                Assert.Null(finished);
                switch (generated)
                {
                    case GenerateEvent.Token token:
                        ids.Add(token.Sampled.TokenId);
                        text += token.Text;
                        break;
                    case GenerateEvent.Finished end:
                        finished = end;
                        text += end.Text;
                        break;
                }
            }

            return new Generation(ids, text, finished, null);
        }
        catch (Exception exception)
        {
            return new Generation(ids, text, finished, exception);
        }
    }

    /// <summary>The same as running alone.</summary>
    public void AssertIs((List<int> Ids, FinishReason Reason) expected)
    {
        Assert.Null(Error);
        Assert.Equal(expected.Ids, Ids);
        Assert.Equal(expected.Reason, Finished?.Reason);
    }
}
