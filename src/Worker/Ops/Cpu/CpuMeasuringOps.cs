using System.Numerics.Tensors;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cpu.Kernels;
using Tensor = TensorParallel.Worker.Devices.Tensor;

namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>Measuring on the processor. Everything is done when it returns.</summary>
internal sealed unsafe class CpuMeasuringOps(CpuDevice device) : IMeasuringOps
{
    private const int ChunkWords = 1024;
    private const int SummedWords = 256 * 1024;

    public KernelLoading KernelLoading => default;

    public void FillRandom(Tensor target, RandomFill fill)
    {
        Operand.CheckFloat(device, target, target.Rows, target.Columns);
        device.Threads.Run(target.Rows, new FillWork(target, fill));
    }

    public void SumWords(Tensor words, Tensor sum)
    {
        Operand.Check(device, words, DType.I32, 1, words.Columns);
        Operand.Check(device, sum, DType.I32, 1, 1);
        var parts = (words.Columns + SummedWords - 1) / SummedWords;
        device.Threads.Run(parts, new SumWork(words, (int*)sum.Address));
    }

    public IDeviceMarks CreateMarks() => new HostMarks();

    private readonly struct FillWork(Tensor target, RandomFill fill) : ICpuWork
    {
        public void Run(int part, int thread)
        {
            Span<uint> words = stackalloc uint[ChunkWords];
            Span<float> values = stackalloc float[ChunkWords];
            var size = target.DType.SizeInBytes();
            var row = (byte*)target.Address + ((long)part * target.RowStride * size);
            var first = fill.IndexOf(part);
            for (var done = 0; done < target.Columns;)
            {
                var block = (first + done) >> 2;
                var skipped = (int)((first + done) & 3);

                // The counter's low word counts up by itself, the high one does not: a chunk ends where it would have to.
                var blocks = (int)Math.Min(ChunkWords / 4, (1L << 32) - (uint)block);
                var count = Math.Min((blocks * 4) - skipped, target.Columns - done);
                var used = words[..((skipped + count + 3) / 4 * 4)];
                Philox4x32.Fill((uint)block, (uint)(block >> 32), fill.KeyLow, fill.KeyHigh, used);
                Scale(used.Slice(skipped, count), values);
                fixed (float* source = values)
                {
                    Narrowing.Write(source, row + ((long)done * size), target.DType, count);
                }

                done += count;
            }
        }

        private void Scale(ReadOnlySpan<uint> words, Span<float> values)
        {
            var (unit, mean) = (fill.Unit, fill.Mean);
            for (var i = 0; i < words.Length; i++)
            {
                // Bytes 0 and 2, bytes 1 and 3, each pair in the halves of a word.
                var pairs = (words[i] & 0x00FF00FF) + ((words[i] >> 8) & 0x00FF00FF);
                var product = unit * ((int)((pairs + (pairs >> 16)) & 0xFFFF) - RandomFill.Middle);
                values[i] = mean + product;
            }
        }
    }

    private readonly struct SumWork(Tensor words, int* sum) : ICpuWork
    {
        public void Run(int part, int thread)
        {
            var start = (long)part * SummedWords;
            var count = (int)Math.Min(SummedWords, words.Columns - start);
            Interlocked.Add(ref *sum, TensorPrimitives.Sum(new ReadOnlySpan<int>((int*)words.Address + start, count)));
        }
    }
}
