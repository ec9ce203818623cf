using System.Text.Json;
using System.Text.Json.Nodes;

namespace TensorParallel.Coordinator.Tests.Text;

/// <summary>
/// One line of a cases.jsonl, made by the Rust tokenizers library (oracle/generate.js): a text with its ids (with and
/// without special tokens), or ids alone, and what those ids decode to.
/// </summary>
internal sealed record OracleCase(string? Text, int[] Ids, int[]? Plain, string Decoded, string Skipped)
{
    private static readonly JsonSerializerOptions s_options = new(JsonSerializerDefaults.Web);

    public static IEnumerable<OracleCase> ReadFile(string file) =>
        File.ReadLines(file).Select(line => JsonSerializer.Deserialize<OracleCase>(line, s_options)!);

    public static OracleCase Read(JsonNode? node) => node.Deserialize<OracleCase>(s_options)!;
}
