namespace TensorParallel.Coordinator.Cli;

/// <summary>Says on standard error what a user should know before a model runs.</summary>
internal static class Notices
{
    /// <summary>One line a notice.</summary>
    public static async Task SayAsync(IReadOnlyList<string> notices)
    {
        foreach (var notice in notices)
        {
            await Console.Error.WriteLineAsync($"coordinator: {notice}");
        }
    }
}
