namespace TensorParallel.Coordinator.Cli;

/// <summary>The command line of this process as a shell would take it: what stands beside figures.</summary>
internal static class CommandLineText
{
    /// <summary>For example <c>coordinator compare --prompt 'It was'</c>.</summary>
    public static string Current => "coordinator " + string.Join(' ', Environment.GetCommandLineArgs().Skip(1).Select(Quoted));

    private static string Quoted(string argument) =>
        argument.Length > 0 && argument.All(c => char.IsAsciiLetterOrDigit(c) || "-_./,:=".Contains(c, StringComparison.Ordinal))
            ? argument
            : $"'{argument.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
