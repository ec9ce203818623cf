namespace TensorParallel.Coordinator.Text.Models;

/// <summary>Reads the key "model": the vocabulary and a byte-pair model over it.</summary>
internal static class BpeModelReader
{
    // Of one merged token; longer is nonsense, and would let a small file name texts of any length.
    private const int MaxTokenLength = 4096;

    public static BpeModel Read(TokenizerJson json)
    {
        // Files from before the key existed are recognised by their merges.
        var kind = json.OptionalString("type") ?? (json.Optional("merges") is null ? "(none)" : "BPE");
        if (kind != "BPE")
        {
            throw json.Unsupported(kind, ["BPE"]);
        }

        foreach (var affix in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (json.Optional(affix) is { } value && value.AsString().Length > 0)
            {
                throw value.Wrong("is not supported");
            }
        }

        if (json.Optional("dropout") is { ValueKind: not System.Text.Json.JsonValueKind.Number } wrong)
        {
            throw wrong.Wrong("must be a number or null");
        }

        var vocabulary = new Vocabulary(json.Required("vocab"));
        var merges = ReadMerges(json.Required("merges"), vocabulary);
        return new BpeModel(vocabulary, merges, ReadOptions(json, vocabulary));
    }

    private static BpeOptions ReadOptions(TokenizerJson json, Vocabulary vocabulary)
    {
        int? unknown = null;
        if (json.Optional("unk_token") is { } token)
        {
            var text = token.AsString();
            unknown = vocabulary.IdOf(text) ?? throw token.Wrong($"is '{text}', which is not in model.vocab");
        }

        return new BpeOptions(
            json.Flag("ignore_merges", absent: false),
            json.Flag("byte_fallback", absent: false),
            json.Flag("fuse_unk", absent: false),
            unknown);
    }

    private static MergeTable ReadMerges(TokenizerJson json, Vocabulary vocabulary)
    {
        var table = new MergeTable(json.Length);
        var ids = vocabulary.BySpan();
        Span<char> joined = stackalloc char[MaxTokenLength];
        var rank = 0;
        foreach (var item in json.Items())
        {
            var (left, right) = ReadPair(item);
            if (left.Length + right.Length > MaxTokenLength)
            {
                throw item.Wrong($"makes a token of more than {MaxTokenLength} characters");
            }

            left.CopyTo(joined);
            right.CopyTo(joined[left.Length..]);
            if (!ids.TryGetValue(left, out var leftId)
                || !ids.TryGetValue(right, out var rightId)
                || !ids.TryGetValue(joined[..(left.Length + right.Length)], out var merged))
            {
                throw item.Wrong($"merges '{left}' and '{right}', but model.vocab lacks one of them or the result");
            }

            table.Add(leftId, rightId, rank++, merged);
        }

        return table;
    }

    private static MergePair ReadPair(TokenizerJson item)
    {
        if (item.ValueKind == System.Text.Json.JsonValueKind.Array)
        {
            var parts = item.Items().Select(part => part.AsString()).ToArray();
            return parts.Length == 2 ? new MergePair(parts[0], parts[1]) : throw item.Wrong("must have two parts");
        }

        var text = item.AsString().AsSpan();
        var space = text.IndexOf(' ');
        return space > 0 && space + 1 < text.Length && text[(space + 1)..].IndexOf(' ') < 0
            ? new MergePair(text[..space], text[(space + 1)..])
            : throw item.Wrong("must be two tokens with one space between them");
    }

    private readonly ref struct MergePair(ReadOnlySpan<char> left, ReadOnlySpan<char> right)
    {
        private readonly ReadOnlySpan<char> _left = left;
        private readonly ReadOnlySpan<char> _right = right;

        public void Deconstruct(out ReadOnlySpan<char> left, out ReadOnlySpan<char> right)
        {
            left = _left;
            right = _right;
        }
    }
}
