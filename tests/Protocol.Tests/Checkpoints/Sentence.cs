using System.Text;
using TensorParallel.Protocol.Checkpoints;
using Xunit;

namespace TensorParallel.Protocol.Tests.Checkpoints;

/// <summary>What every message for the user has to be: one short sentence that says where.</summary>
internal static class Sentence
{
    private static readonly UTF8Encoding s_strictUtf8 = new(false, throwOnInvalidBytes: true);

    public static void AssertThrown(Action action, params ReadOnlySpan<string> parts)
    {
        var message = Assert.Throws<CheckpointException>(action).Message;
        foreach (var part in parts)
        {
            Assert.Contains(part, message, StringComparison.Ordinal);
        }

        AssertIsOne(message);
    }

    public static void AssertIsOne(string message)
    {
        Assert.EndsWith(".", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
        _ = s_strictUtf8.GetByteCount(message);
        Assert.True(message.Length < 800, $"{message.Length} characters: {message}");
    }
}
