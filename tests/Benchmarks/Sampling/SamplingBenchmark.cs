using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cpu;
using TensorParallel.Worker.Sampling;

namespace TensorParallel.Benchmarks.Sampling;

/// <summary>
/// Microseconds to draw one token on one rank: <c>sampling [--vocabulary V]</c>; 151,936 tokens unless told otherwise.
/// </summary>
internal static class SamplingBenchmark
{
    private const int Draws = 200;

    /// <summary>Runs it; returns the exit code.</summary>
    public static int Run(string[] args)
    {
        var vocabulary = int.Parse(
            args.SkipWhile(
                a => a != "--vocabulary").Skip(1).FirstOrDefault() ?? "151936", CultureInfo.InvariantCulture);
        Console.WriteLine($"sampling, vocabulary {vocabulary}, one row, one rank");
        var peaked = Logits(vocabulary, 1.5f);
        var flat = Logits(vocabulary, 0.7f);
        var plain = new SamplingParameters { Temperature = 0.8f };
        Measure("greedy", peaked, new SamplingParameters());
        Measure("temperature", peaked, plain);
        Measure("top-k 50", peaked, plain with { TopK = 50 });
        Measure("top-p 0.9", peaked, plain with { TopP = 0.9f });
        Measure("min-p 0.05", peaked, plain with { MinP = 0.05f });
        Measure("top-p 0.9, flat logits", flat, plain with { TopP = 0.9f });
        Measure("penalties, top-p 0.9", peaked, plain with { TopP = 0.9f, RepetitionPenalty = 1.1f });
        Measure("greedy, 20 log-probs", peaked, new SamplingParameters { LogProbs = 20 });
        return 0;
    }

    private static void Measure(string name, float[] logits, SamplingParameters sampling)
    {
        using IDevice device = new CpuDevice("cpu:0", 1);
        using var collective = new SingleRankCollective(device);
        using var sampler = new Sampler(
            new CpuSamplingOps(
                ), device, collective, [new IndexRange(0, logits.Length)], 0, new StepLimits(16, 1, 4096, 16, 256));
        var tensor = device.AllocateTensor(DType.F32, 1, logits.Length, MemoryPurpose.Workspace);
        device.CopyToDevice(MemoryMarshal.AsBytes(logits.AsSpan()), tensor.Buffer, 0);
        sampler.Begin(0, new SequenceStart(1, sampling));
        sampler.AppendPrompt(0, [1]);
        var times = new double[2 * Draws];
        for (var draw = 0; draw < times.Length; draw++)
        {
            var start = Stopwatch.GetTimestamp();
            sampler.Sample(tensor, [0], [draw + 1]);
            times[draw] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
        }

        // The first half is for the just-in-time compiler.
        var sorted = times[Draws..].Order().ToArray();
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{name,-24} best {sorted[0],8:0.0} us, median {sorted[Draws / 2],8:0.0} us, {sampler.GatheredRows} of "
            + $"{2 * Draws} gathered"));
    }

    /// <summary>
    /// Zipf's law, which language models come near to: the r-th best token's probability is in proportion to r to
    /// −exponent.
    /// </summary>
    private static float[] Logits(int vocabulary, float exponent)
    {
        var logits = Enumerable.Range(1, vocabulary).Select(r => -exponent * MathF.Log(r)).ToArray();
        new Random(1).Shuffle(logits);
        return logits;
    }
}
