using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.ModuleTrees;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Coordinator.Planning.Estimates;

/// <summary>Memory maths of a model, from its configuration alone. Pure.</summary>
internal static class Estimator
{
    private const int DefaultContextTokens = 8192;

    private static readonly int[] s_deviceCounts = [1, 2, 4, 8];
    private static readonly int[] s_contexts = [2048, 8192, 32768, 131072];

    /// <summary>The estimate.</summary>
    /// <exception cref="Protocol.Parallel.PlanException">
    /// The context is longer than the model's, or too large a batch.
    /// </exception>
    public static MemoryEstimate Of(EstimateRequest request)
    {
        var sizes = new ModuleSizes(request.Modules, request.DType);
        var context = request.ContextTokens ?? Math.Min(request.Spec.MaxPositionEmbeddings, DefaultContextTokens);
        var spreads = new SpreadEstimator(request);
        return new MemoryEstimate
        {
            Model = request.Model,
            ModelType = request.Spec.ModelType,
            CanRun = request.CanRun,
            Parameters = request.Modules.OwnTensors()
                .Where(tensor => !tensor.Value.IsBuffer)
                .Sum(tensor => tensor.Value.Elements),
            DType = request.DType.HuggingFaceName(),
            WeightBytes = request.Modules.OwnTensors()
                .Where(tensor => !tensor.Value.IsBuffer)
                .Sum(tensor => tensor.Value.Bytes(request.DType)),
            Formats = WeightFormats.Of(request.Modules),
            LargestModule = Largest(sizes),
            ContextTokens = context,
            Batch = request.Batch,
            KvCache = Caches(request, context),
            Spreads = [.. s_deviceCounts.SelectMany(count => Equal(spreads, count, context))],
            Given = Given(request, spreads, context),
        };
    }

    private static LargestModule Largest(ModuleSizes sizes)
    {
        var layer = LargestLayer.Of(PlacementItem.PartsOf("", sizes.Tree.Root), sizes);
        return new LargestModule(layer.Names[0], layer.Bytes);
    }

    private static IReadOnlyList<CacheBytes> Caches(EstimateRequest request, int context)
    {
        var shape = request.Modules.Shape;
        var position = 2L * shape.Layers * shape.KeyValueHeads * shape.HeadDim * request.DType.SizeInBytes();
        var contexts = s_contexts.Append(context).Where(tokens => tokens <= shape.MaxPositions).Distinct().Order();
        return
        [
            .. from tokens in contexts
               from batch in new[] { 1, request.Batch }.Distinct()
               select new CacheBytes(tokens, batch, checked(position * (((tokens - 1) / 16) + 1) * 16 * batch)),
        ];
    }

    private static IEnumerable<SpreadEstimate> Equal(SpreadEstimator spreads, int count, int context)
    {
        var devices = Enumerable.Range(0, count).Select(number => new DeviceBudget($"{number}", null)).ToList();
        yield return spreads.TensorParallel(devices, [], context);
        yield return spreads.DeviceMap(devices, [], context);
    }

    private static IReadOnlyList<SpreadEstimate> Given(EstimateRequest request, SpreadEstimator spreads, int context)
    {
        var devices = request.MaxMemory?.Where(budget => budget.IsDevice).ToList() ?? [];
        if (devices.Count == 0)
        {
            return [];
        }

        var spill = request.MaxMemory!.Where(budget => !budget.IsDevice).ToList();
        var most = request.Spec.MaxPositionEmbeddings;
        return
        [
            spreads.TensorParallel(devices, spill, context) with
            {
                LargestContext = LargestContext(most, tokens => spreads.TensorParallel(devices, [], tokens).Fits)
                    ?? LargestContext(most, tokens => spreads.TensorParallel(devices, spill, tokens).Fits),
            },
            spreads.DeviceMap(devices, spill, context) with
            {
                LargestContext = LargestContext(most, tokens => spreads.DeviceMap(devices, [], tokens).Fits)
                    ?? LargestContext(most, tokens => spreads.DeviceMap(devices, spill, tokens).Fits),
            },
        ];
    }

    // Memory only grows with the context.
    private static int? LargestContext(int most, Func<int, bool> fits)
    {
        var (largest, tooLong) = (0, most + 1);
        while (tooLong - largest > 1)
        {
            var middle = largest + ((tooLong - largest) / 2);
            (largest, tooLong) = fits(middle) ? (middle, tooLong) : (largest, middle);
        }

        return largest == 0 ? null : largest;
    }
}
