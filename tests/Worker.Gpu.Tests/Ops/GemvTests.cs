using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Ops;

/// <summary>
/// Products of 1 to 16 rows, and cuBLASLt's beyond, at the aligned shapes that their fast kernels take; also on GPUs where gemm_stream.cu would
/// make them.
/// </summary>
public sealed class GemvTests : IDisposable
{
    private readonly CudaDevice _device = Gpu.Open();
    private readonly CudaOps _ops;
    private readonly ProductCases _cases;

    public GemvTests(ITestOutputHelper output)
    {
        _ops = new CudaOps(_device) { StreamsProducts = false };
        _cases = new ProductCases(_device, _ops, output);
    }

    public void Dispose()
    {
        _ops.Dispose();
        _device.Dispose();
    }

    [Theory]
    [InlineData(DType.BF16)]
    [InlineData(DType.F16)]
    public void Every_row_count_and_odd_sizes_match(DType dtype)
    {
        for (var tokens = 1; tokens <= 20; tokens++)
        {
            _cases.Multiply(dtype, dtype, tokens, _cases.Random.Next(1, 400), 8 * _cases.Random.Next(1, 90));
        }

        // One and two rows: each number of weight rows a block, and ends of rows inside and at the end of a round of loads.
        for (var tokens = 1; tokens <= 2; tokens++)
        {
            foreach (var columns in (int[])[1024, 1032, 2048, 2056, 4096, 8 * _cases.Random.Next(256, 1300)])
            {
                _cases.Multiply(dtype, dtype, tokens, _cases.Random.Next(1, 400), columns);
            }
        }

        foreach (var (rows, columns) in ((int, int)[])[(1, 8), (16, 24), (17, 256), (133, 264), (1000, 2048), (4300, 40), (8500, 16)])
        {
            _cases.Multiply(dtype, DType.F32, _cases.Random.Next(1, 9), rows, columns);
            _cases.Multiply(dtype, dtype, _cases.Random.Next(9, 17), rows, columns);
            _cases.Multiply(dtype, DType.F32, _cases.Random.Next(17, 90), rows, columns);
        }
    }

    [Fact]
    public void Long_rows_match()
    {
        _cases.Multiply(DType.BF16, DType.BF16, 1, 41, 14336);
        _cases.Multiply(DType.F16, DType.F32, 2, 39, 14336 + 8);
        _cases.Multiply(DType.BF16, DType.BF16, 1, (128 * _device.Multiprocessors) + 3, 2048 + 40);
        _cases.Multiply(DType.BF16, DType.BF16, 16, 40, 14336);
        _cases.Multiply(DType.BF16, DType.F32, 3, 200, 4096);
    }

    /// <summary>Launches in a chain, each fed by the last: a kernel that starts too early reads what is not there yet.</summary>
    [Fact]
    public void Chains_of_early_launches_see_their_predecessors() => _cases.Chain(tokens: 2, links: 20);
}
