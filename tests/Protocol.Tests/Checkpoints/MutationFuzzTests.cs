using System.Globalization;
using System.Text;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Protocol.Tests.Checkpoints;

/// <summary>
/// Damages valid files at random: opening either succeeds or throws a <see cref="CheckpointException"/> of one
/// sentence, and allocates no more than a bound that follows from the file's size. Environment variable
/// TENSOR_PARALLEL_FUZZ_CASES sets the cases a seed (short by default).
/// </summary>
public sealed class MutationFuzzTests : IDisposable
{
    private const int ShortCases = 500;

    // Fixed costs (dictionaries, messages, an exception's trace) and what a byte of JSON may become as a tree.
    private const long AllocationFloor = 400_000;
    private const long AllocationPerByte = 100;

    private static readonly string[] s_tokens =
    [
        "{", "}", "[", "]", ",", ":", "\"", "null", "true", "-1", "0", "1e999", "9223372036854775807",
        "18446744073709551616", "\\ud800", "\\u0000", "\"dtype\"", "\"shape\"", "\"data_offsets\"", "\"__metadata__\"",
        "\"F4\"", "\"..\"", "/",
    ];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("model.safetensors", 1)]
    [InlineData("model.safetensors", 2)]
    [InlineData("model.safetensors.index.json", 3)]
    [InlineData("model-00002-of-00002.safetensors", 4)]
    [InlineData("config.json", 5)]
    [InlineData("generation_config.json", 6)]
    public void DamagedFile_OpensOrIsRefusedInOneSentence(string fileName, int seed)
    {
        WriteCheckpoint(shards: fileName == Checkpoint.SingleFileName ? 1 : 2);
        var path = _folder.File(fileName);
        var original = File.ReadAllBytes(path);
        var random = new Random(seed);
        var setting = Environment.GetEnvironmentVariable("TENSOR_PARALLEL_FUZZ_CASES");
        var cases = setting is null ? ShortCases : int.Parse(setting, CultureInfo.InvariantCulture);
        var refused = 0;
        for (var i = 0; i < cases; i++)
        {
            var damaged = Damage(original, random);
            File.WriteAllBytes(path, damaged);
            refused += Refused(damaged, $"{fileName}, seed {seed}, case {i}") ? 1 : 0;
        }

        // Damage that is never noticed would mean that nothing is looked at.
        Assert.InRange(refused, cases / 10, cases);
    }

    private bool Refused(byte[] damaged, string where)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var message = Open(where);
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(
            allocated < AllocationFloor + (AllocationPerByte * damaged.Length),
            $"{where}: {allocated} bytes allocated for a file of {damaged.Length}.");
        if (message is not null)
        {
            Sentence.AssertIsOne(message);
            Assert.Contains(_folder.Path, message, StringComparison.Ordinal);
        }

        return message is not null;
    }

    // Everything that reads metadata, as a coordinator would: opening, and the shared keys of the configuration.
    private string? Open(string where)
    {
        try
        {
            var checkpoint = Checkpoint.Open(_folder.Path);
            _ = (checkpoint.Config.ModelType, checkpoint.Config.Architectures, checkpoint.Config.QuantMethod);
            _ = checkpoint.Config.PositiveInt("hidden_size");
            _ = DTypeResolution.Resolve(DTypeResolution.Auto, checkpoint);
            AssertInside(checkpoint, where);
            return null;
        }
        catch (CheckpointException e)
        {
            return e.Message;
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{where}: {e.GetType().Name} escaped.", e);
        }
    }

    private static void AssertInside(Checkpoint checkpoint, string where)
    {
        foreach (var tensor in checkpoint.Tensors.Values)
        {
            var rest = new FileInfo(tensor.File).Length - tensor.Offset;
            Assert.True(
                tensor.Offset >= 8 && tensor.Bytes >= 0 && tensor.Bytes <= rest,
                $"{where}: {tensor.Name} lies outside its file.");
        }
    }

    // The header is where damage hurts, so most of it goes there: positions are drawn as the square of a uniform.
    private static byte[] Damage(byte[] original, Random random)
    {
        var bytes = original.ToList();
        for (var times = random.Next(1, 4); times > 0 && bytes.Count > 0; times--)
        {
            var at = (int)(Math.Pow(random.NextDouble(), 2) * bytes.Count);
            switch (random.Next(7))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 2:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                case 3:
                    bytes.RemoveRange(at, Math.Min(random.Next(1, 40), bytes.Count - at));
                    break;
                case 4:
                    bytes.InsertRange(at, Encoding.UTF8.GetBytes(s_tokens[random.Next(s_tokens.Length)]));
                    break;
                case 5:
                    bytes.InsertRange(at, bytes.GetRange(at, Math.Min(random.Next(1, 200), bytes.Count - at)));
                    break;
                default:
                    ReplaceDigit(bytes, at, random);
                    break;
            }
        }

        return [.. bytes];
    }

    // Keeps the JSON valid and the length right: the damage that only the arithmetic checks can find.
    private static void ReplaceDigit(List<byte> bytes, int from, Random random)
    {
        var at = bytes.FindIndex(from, b => char.IsAsciiDigit((char)b));
        if (at >= 0)
        {
            bytes[at] = (byte)('0' + random.Next(10));
        }
    }

    // Few and small tensors, so that the header is a good part of the file.
    private void WriteCheckpoint(int shards) => TinyCheckpoint.Write(_folder.Path, new()
    {
        Layers = 1,
        Hidden = 4,
        Heads = 2,
        KvHeads = 1,
        HeadDim = 2,
        Intermediate = 6,
        Vocab = 9,
        Shards = shards,
    });
}
