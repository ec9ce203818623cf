using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using static TensorParallel.Worker.Native.CublasLt;

namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>
/// Products of many rows by cuBLASLt: output = x · weightᵀ + bias with f32 sums and one rounding. A plan (descriptors and the algorithm that
/// the library's heuristic ranks first for the size that stands for the number of rows) is made at a shape's first use and kept.
/// </summary>
internal sealed unsafe class MatrixProducts : IDisposable
{
    private const long WorkspaceBytes = DeviceScratch.ProductBytes;

    private readonly CudaDevice _device;
    private readonly DeviceBuffer _workspace;
    private readonly Dictionary<Shape, Plan?> _plans = [];
    private readonly Dictionary<Shape, cublasLtMatmulAlgo_t?> _algorithms = []; // by shapes of ProductSizes and tight rows
    private readonly nint _handle;

    public MatrixProducts(CudaDevice device)
    {
        _device = device;
        device.MakeCurrent();
        nint handle;
        Check(cublasLtCreate(&handle));
        _handle = handle;
        _workspace = device.Allocate(WorkspaceBytes, MemoryPurpose.Scratch);
    }

    /// <summary>
    /// Whether <see cref="TryMultiply"/> can add this bias: in f32 throughout, for an output of two bytes is rounded by the library
    /// before the bias is added (seen on cuBLASLt 13), and at an address that its 16-byte reads take.
    /// </summary>
    public static bool CanAdd(Tensor bias, Tensor output) =>
        output.DType == DType.F32 && bias.DType == DType.F32 && bias.Address % 16 == 0;

    /// <summary>
    /// x: [T, K]; weight: [N, K] of the same dtype; bias: [1, N] that <see cref="CanAdd"/> allows, or null, added to the f32 sums;
    /// output: [T, N] of x's dtype or F32. False, and nothing done, if the library knows no algorithm (rows at odd addresses).
    /// </summary>
    public bool TryMultiply(Tensor x, Tensor weight, Tensor? bias, Tensor output)
    {
        var shape = new Shape(
            x.DType, output.DType, x.Rows, weight.Rows, x.Columns, x.RowStride, weight.RowStride, output.RowStride,
            Alignment(weight), Alignment(x), Alignment(output), bias is not null);
        _device.MakeCurrent();
        if (!_plans.TryGetValue(shape, out var plan))
        {
            _plans[shape] = plan = MakePlan(shape, bias?.Address ?? 0);
        }

        if (plan is null)
        {
            return false;
        }

        if (bias is { } added)
        {
            SetBias(plan.Operation, added.Address);
        }

        // Column-major, a row-major [T, N] is an [N, T]: outputᵀ = (weightᵀ)ᵀ · xᵀ, so the weight is the transposed operand.
        var (one, zero) = (1f, 0f);
        var algorithm = plan.Algorithm;
        var status = cublasLtMatmul(
            _handle, plan.Operation, &one, (void*)weight.Address, plan.Weight, (void*)x.Address, plan.X, &zero,
            (void*)output.Address, plan.Output, (void*)output.Address, plan.Output, &algorithm, (void*)_workspace.Address,
            (nuint)WorkspaceBytes, _device.Stream);
        Check(status, $"cublasLtMatmul of {shape}");
        return true;
    }

    public void Dispose()
    {
        _device.MakeCurrent();
        foreach (var plan in _plans.Values)
        {
            if (plan is not null)
            {
                Destroy(plan);
            }
        }

        Check(cublasLtDestroy(_handle));
        _workspace.Dispose();
    }

    private static int TypeOf(DType dtype) => dtype switch
    {
        DType.F32 => CUDA_R_32F,
        DType.F16 => CUDA_R_16F,
        DType.BF16 => CUDA_R_16BF,
        _ => throw new ArgumentException($"cuBLASLt is not used for {dtype}.", nameof(dtype)),
    };

    // The library assumes 256 bytes unless told; column views start anywhere.
    private static uint Alignment(Tensor tensor) => (uint)Math.Min(256, tensor.Address & -tensor.Address);

    private static void SetAlignment(nint preference, int attribute, uint bytes) =>
        Check(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &bytes, sizeof(uint)));

    private static void Destroy(Plan plan)
    {
        Check(cublasLtMatmulDescDestroy(plan.Operation));
        Check(cublasLtMatrixLayoutDestroy(plan.Weight));
        Check(cublasLtMatrixLayoutDestroy(plan.X));
        Check(cublasLtMatrixLayoutDestroy(plan.Output));
    }

    private static void SetBias(nint operation, nint address) =>
        Check(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &address, (nuint)sizeof(nint)));

    // The bias runs along the library's rows, which are our columns: one number for each output feature.
    private static nint MakeOperation(nint bias)
    {
        nint operation;
        Check(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
        var transpose = CUBLAS_OP_T;
        Check(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &transpose, sizeof(int)));
        if (bias != 0)
        {
            var epilogue = CUBLASLT_EPILOGUE_BIAS;
            Check(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof(int)));
            SetBias(operation, bias);
        }

        return operation;
    }

    private Plan? MakePlan(Shape shape, nint bias)
    {
        var sized = shape with
        {
            T = ProductSizes.Of(shape.T),
            XStride = shape.K,
            WeightStride = shape.K,
            OutputStride = shape.N,
        };
        if (!_algorithms.TryGetValue(sized, out var algorithm))
        {
            var descriptors = Describe(sized, bias);
            _algorithms[sized] = algorithm = Choose(sized, descriptors);
            Destroy(descriptors);
        }

        var plan = Describe(shape, bias);
        if (algorithm is { } known && Takes(plan, known))
        {
            return plan with { Algorithm = known };
        }

        // Rows at other strides may want another algorithm, or none will do.
        if (Choose(shape, plan) is { } own)
        {
            return plan with { Algorithm = own };
        }

        Destroy(plan);
        return null;
    }

    private static Plan Describe(Shape shape, nint bias)
    {
        nint weight, x, output;
        var operation = MakeOperation(bias);
        var (input, result) = (TypeOf(shape.Input), TypeOf(shape.Output));
        Check(cublasLtMatrixLayoutCreate(&weight, input, (ulong)shape.K, (ulong)shape.N, shape.WeightStride));
        Check(cublasLtMatrixLayoutCreate(&x, input, (ulong)shape.K, (ulong)shape.T, shape.XStride));
        Check(cublasLtMatrixLayoutCreate(&output, result, (ulong)shape.N, (ulong)shape.T, shape.OutputStride));
        return new Plan(operation, weight, x, output, default);
    }

    private bool Takes(Plan plan, cublasLtMatmulAlgo_t algorithm)
    {
        cublasLtMatmulHeuristicResult_t result;
        return cublasLtMatmulAlgoCheck(
            _handle, plan.Operation, plan.Weight, plan.X, plan.Output, plan.Output, &algorithm, &result) == CUBLAS_STATUS_SUCCESS
            && result.workspaceSize <= (nuint)WorkspaceBytes;
    }

    private cublasLtMatmulAlgo_t? Choose(Shape shape, Plan plan)
    {
        nint preference;
        Check(cublasLtMatmulPreferenceCreate(&preference));
        try
        {
            var workspace = (ulong)WorkspaceBytes;
            Check(
                cublasLtMatmulPreferenceSetAttribute(
                    preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof(ulong)));

            // Parts of a split K are added up in f32, never in the output's dtype.
            var reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
            Check(
                cublasLtMatmulPreferenceSetAttribute(
                    preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, sizeof(uint)));
            SetAlignment(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, shape.WeightAlignment);
            SetAlignment(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, shape.XAlignment);
            SetAlignment(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, shape.OutputAlignment);
            SetAlignment(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, shape.OutputAlignment);
            cublasLtMatmulHeuristicResult_t best;
            int found;
            var status = cublasLtMatmulAlgoGetHeuristic(
                _handle, plan.Operation, plan.Weight, plan.X, plan.Output, plan.Output, preference, 1, &best, &found);
            if (status == CUBLAS_STATUS_SUCCESS && found > 0)
            {
                return best.algo;
            }

            if (status is not (CUBLAS_STATUS_SUCCESS or CUBLAS_STATUS_NOT_SUPPORTED))
            {
                Check(status, $"cublasLtMatmulAlgoGetHeuristic for {shape}");
            }

            return null;
        }
        finally
        {
            Check(cublasLtMatmulPreferenceDestroy(preference));
        }
    }

    private readonly record struct Shape(
        DType Input, DType Output, int T, int N, int K, int XStride, int WeightStride, int OutputStride, uint WeightAlignment,
        uint XAlignment, uint OutputAlignment, bool Bias);

    private sealed record Plan(nint Operation, nint Weight, nint X, nint Output, cublasLtMatmulAlgo_t Algorithm);
}
