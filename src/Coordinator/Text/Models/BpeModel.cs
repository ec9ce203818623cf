using System.Buffers;
using System.Text;

namespace TensorParallel.Coordinator.Text.Models;

/// <summary>Byte-pair encoding: a word to token ids. Thread-safe; only its bounded cache ever changes.</summary>
internal sealed class BpeModel
{
    private const char SpaceMark = '\u2581';

    private readonly MergeTable _merges;
    private readonly BpeOptions _options;
    private readonly WordCache _cache = new();
    private readonly int[] _characterIds;
    private readonly int[]? _byteIds;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _ids;
    private readonly SpaceMarkCuts? _cuts;

    public BpeModel(Vocabulary vocabulary, MergeTable merges, BpeOptions options)
    {
        Vocabulary = vocabulary;
        _merges = merges;
        _options = options;
        _ids = vocabulary.BySpan();
        _characterIds = CharacterIds(vocabulary);
        _byteIds = options.ByteFallback ? ByteIds(vocabulary) : null;
        var cuts = !options.IgnoreMerges && _characterIds[SpaceMark] >= 0;
        _cuts = cuts ? new SpaceMarkCuts(vocabulary, SpaceMark, c => _characterIds[c] >= 0) : null;
    }

    public Vocabulary Vocabulary { get; }

    /// <summary>Appends the ids of one word (well-formed UTF-16, any length).</summary>
    public void Encode(ReadOnlySpan<char> word, List<int> ids)
    {
        while (_cuts is not null && _cuts.Next(word) is > 0 and var cut)
        {
            EncodeWhole(word[..cut], ids);
            word = word[cut..];
        }

        EncodeWhole(word, ids);
    }

    private void EncodeWhole(ReadOnlySpan<char> word, List<int> ids)
    {
        if (word.Length > WordCache.MaxWordLength)
        {
            EncodeUncached(word, ids);
            return;
        }

        if (_cache.Find(word) is { } known)
        {
            ids.AddRange(known);
            return;
        }

        var before = ids.Count;
        EncodeUncached(word, ids);
        _cache.Add(word, [.. System.Runtime.InteropServices.CollectionsMarshal.AsSpan(ids)[before..]]);
    }

    private void EncodeUncached(ReadOnlySpan<char> word, List<int> ids)
    {
        if (_options.IgnoreMerges && _ids.TryGetValue(word, out var whole))
        {
            ids.Add(whole);
            return;
        }

        // A UTF-16 unit gives at most three symbols: the UTF-8 bytes of a character up to U+FFFF.
        var rented = ArrayPool<int>.Shared.Rent((3 * word.Length) + 1);
        var count = Symbols(word, rented);
        count = WordMerger.Merge(rented.AsSpan(0, count), _merges);
        ids.AddRange(rented.AsSpan(0, count));
        ArrayPool<int>.Shared.Return(rented);
    }

    private int Symbols(ReadOnlySpan<char> word, Span<int> symbols)
    {
        var count = 0;
        var unknown = false;
        foreach (var rune in word.EnumerateRunes())
        {
            var id = IdOf(rune);
            if (id >= 0)
            {
                if (unknown)
                {
                    symbols[count++] = _options.UnknownId!.Value;
                    unknown = false;
                }

                symbols[count++] = id;
            }
            else if (_byteIds is not null && Bytes(rune, symbols[count..]) is > 0 and var bytes)
            {
                count += bytes;
            }
            else if (_options.UnknownId is { } unknownId)
            {
                if (unknown && !_options.FuseUnknown)
                {
                    symbols[count++] = unknownId;
                }

                unknown = true;
            }
        }

        if (unknown)
        {
            symbols[count++] = _options.UnknownId!.Value;
        }

        return count;
    }

    // 0 when one of the bytes has no token.
    private int Bytes(Rune rune, Span<int> symbols)
    {
        Span<byte> utf8 = stackalloc byte[4];
        var length = rune.EncodeToUtf8(utf8);
        for (var i = 0; i < length; i++)
        {
            if (_byteIds![utf8[i]] is >= 0 and var id)
            {
                symbols[i] = id;
            }
            else
            {
                return 0;
            }
        }

        return length;
    }

    private int IdOf(Rune rune)
    {
        if (rune.IsBmp)
        {
            return _characterIds[rune.Value];
        }

        Span<char> pair = stackalloc char[2];
        rune.EncodeToUtf16(pair);
        return _ids.TryGetValue(pair, out var id) ? id : -1;
    }

    private static int[] CharacterIds(Vocabulary vocabulary)
    {
        var ids = new int[0x10000];
        Array.Fill(ids, -1);
        foreach (var token in vocabulary.Tokens.Where(token => token.Length == 1))
        {
            ids[token[0]] = vocabulary.IdOf(token)!.Value;
        }

        return ids;
    }

    private static int[] ByteIds(Vocabulary vocabulary) =>
        [.. Enumerable.Range(0, 256).Select(value => vocabulary.IdOf($"<0x{value:X2}>") ?? -1)];
}
