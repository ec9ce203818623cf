using TensorParallel.Coordinator.Sharding;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Shards;
using TensorParallel.TestKit;
using TensorParallel.Worker.Loading.Shards;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Tests.Loading.Shards;

/// <summary>The coordinator's search for a set, on sets that the worker has written.</summary>
public sealed class ShardLookupTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _model;
    private readonly string _weights;

    public ShardLookupTests()
    {
        _model = TinyCheckpoint.Write(_folder.File("model"));
        _weights = Path.Combine(_model, Checkpoint.SingleFileName);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void AutoTakesTheModelsOwnSetOfTheSameCut()
    {
        Assert.Equal((null, 0), Found(Find(DType.F32)));
        var set = Write(DType.F32);

        var found = Find(DType.F32);

        Assert.Equal(set, found.Folder);
        Assert.Contains(set, Assert.Single(found.Notices), StringComparison.Ordinal);
        Assert.Equal((null, 0), Found(Find(DType.BF16)));
        Assert.Equal((null, 0), Found(Find(DType.F32, ranks: 3)));
        Assert.Equal((null, 0), Found(Find(DType.F32, ShardChoice.Off)));
    }

    [Fact]
    public void ChangedWeightsAreNotTakenForTheOldOnes()
    {
        var set = Write(DType.F32);
        ChangeLastByte();

        var found = Find(DType.F32);

        Assert.Null(found.Folder);
        Assert.Contains($"{set} are not used, the checkpoint is read: model.safetensors has changed", Assert.Single(found.Notices), StringComparison.Ordinal);

        // In a folder that models share each has its own.
        var shared = _folder.File("shared");
        Directory.CreateDirectory(Path.Combine(shared, ShardFolder.OfModel(_model)));
        Directory.Move(set, Path.Combine(shared, ShardFolder.OfModel(_model), Path.GetFileName(set)));
        Assert.NotEqual(ShardFolder.OfModel(_model), ShardFolder.OfModel(Path.Combine(shared, "model")));
        var error = Assert.Throws<CheckpointException>(() => Find(DType.F32, shared));
        Assert.Contains("model.safetensors has changed", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ATouchedFileIsComparedOnceByItsContents()
    {
        var set = Write(DType.F32);
        var time = DateTime.UtcNow.AddHours(1);
        File.SetLastWriteTimeUtc(_weights, time);

        Assert.Equal(set, Find(DType.F32).Folder);

        Assert.Equal(SourceFile.Stamp(_weights).Modified, ShardManifest.Read(set).Sources[0].Modified);
        Assert.Equal(set, Find(DType.F32).Folder);
    }

    [Fact]
    public void AManifestThatCannotBeRenewedIsSaidAndNothingIsLeftBeside()
    {
        var manifest = ShardManifest.Read(Write(DType.F32));
        var set = Directory.CreateDirectory(_folder.File("set")).FullName;
        Directory.CreateDirectory(Path.Combine(set, ShardFolder.ManifestName, "in the way"));
        var notices = new List<string>();

        ShardLookup.Renew(manifest with { Folder = set }, notices);

        Assert.Contains("new times cannot be noted", Assert.Single(notices), StringComparison.Ordinal);
        Assert.Equal(ShardFolder.ManifestName, Path.GetFileName(Assert.Single(Directory.GetFileSystemEntries(set))));
    }

    [Fact]
    public void ALongerFileIsAnotherOne()
    {
        Write(DType.F32);
        var source = new ShardSource(_model, [_weights], Plan(DType.F32));
        File.AppendAllText(_weights, "x");

        var found = ShardLookup.Find(ShardChoice.Auto, source, TestContext.Current.CancellationToken);

        Assert.Contains("has changed", Assert.Single(found.Notices), StringComparison.Ordinal);
    }

    [Fact]
    public void ABrokenManifestIsSaidAndNotUsed()
    {
        var set = Write(DType.F32);
        File.WriteAllText(Path.Combine(set, ShardFolder.ManifestName), "{");

        var found = Find(DType.F32);

        Assert.Null(found.Folder);
        Assert.Contains("not valid JSON", Assert.Single(found.Notices), StringComparison.Ordinal);
        Assert.Throws<CheckpointException>(() => Find(DType.F32, Path.GetDirectoryName(set)!));
    }

    [Fact]
    public void ANamedFolderMustHaveTheSet()
    {
        var error = Assert.Throws<CheckpointException>(() => Find(DType.F32, _folder.Path));

        Assert.Contains("coordinator shard --output", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheSpaceThatIsAskedForIsAtLeastWhatIsTakenAndNotMuchMore()
    {
        var plan = Plan(DType.F32, 3);
        var set = Write(DType.F32, 3);
        var taken = new DirectoryInfo(set).GetFiles().Sum(file => file.Length);

        Assert.InRange(ShardSpace.Needed(plan), taken, taken + (64 << 10));
    }

    private static (string? Folder, int Notices) Found(ShardChoice choice) => (choice.Folder, choice.Notices.Count);

    private ExecutionPlan Plan(DType dtype, int ranks = 2) => GroupRun.Plan(_model, ranks, dtype);

    private ShardChoice Find(DType dtype, string option = ShardChoice.Auto, int ranks = 2) =>
        ShardLookup.Find(option, new ShardSource(_model, [_weights], Plan(dtype, ranks)), TestContext.Current.CancellationToken);

    private string Write(DType dtype, int ranks = 2)
    {
        var plan = Plan(dtype, ranks);
        var root = Path.Combine(_model, ShardFolder.DefaultRootName);
        Directory.CreateDirectory(root);
        var set = Path.Combine(root, ShardFolder.Key(plan));
        new ShardSetWriter(_model, plan, set, 2).Write((_, _) => { }, TestContext.Current.CancellationToken);
        return set;
    }

    private void ChangeLastByte()
    {
        var bytes = File.ReadAllBytes(_weights);
        bytes[^1] ^= 1;
        File.WriteAllBytes(_weights, bytes);
        File.SetLastWriteTimeUtc(_weights, DateTime.UtcNow.AddSeconds(1));
    }
}
