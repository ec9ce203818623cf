namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// As colwise for a tensor that stacks gate over up: a rank holds its rows of each half, so both halves stay aligned.
/// Example: [gate 0 … 175, up 176 … 351], rank 1 of 3 with part [64, 128): rows 64 … 127 and 240 … 303.
/// </summary>
internal sealed class PackedColwiseStyle : TpStyle
{
    private const int Parts = 2;

    public override string Name => "packed_colwise";

    public override TpTargets Targets => TpTargets.PackedLinear;

    public override int? WeightDim => 0;

    public override ActivationLayout InputLayout => ActivationLayout.Replicated;

    public override ActivationLayout LocalOutputLayout => ActivationLayout.Sharded;

    public override ActivationLayout OutputLayout => ActivationLayout.Sharded;

    protected override IReadOnlyList<IndexRange> Ranges(int size, IndexRange part)
    {
        var half = size / Parts;
        if (half * Parts != size)
        {
            throw new ArgumentOutOfRangeException(nameof(size), size, "A packed dimension has two equal halves.");
        }

        CheckPart(half, part);
        return [part, new IndexRange(half + part.Start, half + part.End)];
    }
}
