using System.Text.Json;
using TensorParallel.Coordinator.Text.Added;
using TensorParallel.Coordinator.Text.Decoders;
using TensorParallel.Coordinator.Text.Models;
using TensorParallel.Coordinator.Text.Normalizers;
using TensorParallel.Coordinator.Text.PostProcessors;
using TensorParallel.Coordinator.Text.PreTokenizers;

namespace TensorParallel.Coordinator.Text;

/// <summary>Reads the two tokenizer files of a model folder.</summary>
internal static class TokenizerReader
{
    private const string TokenizerFile = "tokenizer.json";
    private const string ConfigFile = "tokenizer_config.json";

    // The largest in use is 33 MB.
    private const long MaxFileBytes = 512L << 20;

    private static readonly JsonDocumentOptions s_options = new() { MaxDepth = 64 };

    /// <summary>tokenizer.json, which must exist.</summary>
    public static TokenizerParts ReadParts(string modelFolder)
    {
        var file = Path.Combine(modelFolder, TokenizerFile);
        if (!File.Exists(file))
        {
            throw new TokenizerException($"{file} does not exist: text needs it, token ids do not.");
        }

        using var document = Parse(file);
        var json = new TokenizerJson(file, string.Empty, document.RootElement);
        var model = BpeModelReader.Read(json.Required("model"));
        var normalizer = json.Optional("normalizer") is { } n ? NormalizerCatalog.Read(n) : null;
        var added = AddedVocabulary.Read(json.Optional("added_tokens"), model.Vocabulary, normalizer);
        var size = Math.Max(model.Vocabulary.Size, added.Size);
        return new TokenizerParts(
            normalizer,
            added,
            json.Optional("pre_tokenizer") is { } p ? PreTokenizerCatalog.Read(p) : null,
            model,
            json.Optional("post_processor") is { } post ? PostProcessorCatalog.Read(post, size) : null,
            json.Optional("decoder") is { } d ? DecoderCatalog.Read(d) : new SpacedDecoder());
    }

    /// <summary>The text of "bos_token" in tokenizer_config.json: a string or an added token's object. Null: none.
    /// </summary>
    public static string? ReadBosToken(string modelFolder)
    {
        var file = Path.Combine(modelFolder, ConfigFile);
        if (!File.Exists(file))
        {
            return null;
        }

        using var document = Parse(file);
        if (new TokenizerJson(file, string.Empty, document.RootElement).Optional("bos_token") is not { } token)
        {
            return null;
        }

        return token.ValueKind == JsonValueKind.Object ? token.Required("content").AsString() : token.AsString();
    }

    private static JsonDocument Parse(string file)
    {
        try
        {
            using var stream = File.OpenRead(file);
            return stream.Length <= MaxFileBytes
                ? JsonDocument.Parse(stream, s_options)
                : throw new TokenizerException($"{file} has {stream.Length} bytes; at most {MaxFileBytes} are read.");
        }
        catch (JsonException e)
        {
            throw new TokenizerException($"{file} is not valid JSON: {e.Message.TrimEnd('.')}.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new TokenizerException($"{file} cannot be read: {e.Message.TrimEnd('.')}.", e);
        }
    }
}
