using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cpu;
using Xunit;

namespace TensorParallel.Worker.Tests.Sampling;

/// <summary>The cases on the CPU.</summary>
public sealed class CpuSamplingConformanceTests(ITestOutputHelper output)
    : SamplingConformance(output, new CpuDevice("cpu:0", threads: 1, poison: true), new CpuSamplingOps());
