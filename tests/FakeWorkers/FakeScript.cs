using System.Globalization;

namespace TensorParallel.FakeWorkers;

/// <summary>Which rank does what; written as "StepHang@1", in place of a model folder.</summary>
internal sealed record FakeScript(FakeBehaviour Behaviour, int Rank)
{
    /// <summary>What the given rank does.</summary>
    public FakeBehaviour For(int rank) => rank == Rank ? Behaviour : FakeBehaviour.Good;

    /// <summary>Reads the text.</summary>
    public static FakeScript Parse(string text)
    {
        var parts = text.Split('@');
        return new FakeScript(Enum.Parse<FakeBehaviour>(parts[0]), int.Parse(parts[1], CultureInfo.InvariantCulture));
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Behaviour}@{Rank}";
}
