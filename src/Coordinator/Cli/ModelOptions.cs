using System.CommandLine;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Sharding;

namespace TensorParallel.Coordinator.Cli;

/// <summary>The options that choose a model and spread it; the same on every command.</summary>
internal sealed class ModelOptions
{
    private const string CheckpointWeights = "checkpoint";
    private const string RandomWeights = "random";

    // What a worker takes; far above any processor's cores.
    private const int MostThreads = 1024;

    // A week. Workers count milliseconds in 32 bits: 24 days.
    private const int MostStepSeconds = 7 * 24 * 3600;

    private readonly Option<string[]> _model = new("--model", "-m")
    {
        Arity = ArgumentArity.OneOrMore,
        Description = "Model folder as Hugging Face lays it out (for plan and --weights random also a bare config.json). Default: the demo model.",
        HelpName = "DIR",
    };

    private readonly Option<string> _weights = new("--weights")
    {
        Description = "checkpoint (default), or random: made on the devices by the shapes of the configuration alone, the same at any number of workers.",
        HelpName = "checkpoint|random",
        DefaultValueFactory = _ => CheckpointWeights,
    };

    private readonly Option<string?> _tpPlan = new("--tp-plan")
    {
        Description = "auto, a JSON file, or an inline JSON object of module pattern -> style. Default: auto.",
        HelpName = "PLAN",
    };

    private readonly Option<string?> _deviceMap = new("--device-map")
    {
        Description = "Whole layers in sequence over the devices instead of tensor parallelism: fit (default), auto, balanced, "
            + "balanced_low_0, sequential, a JSON file or an inline JSON object of module -> device, as Hugging Face writes it.",
        HelpName = "MAP",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private readonly Option<string?> _gpus = new("--gpus")
    {
        Description = "GPU indices, one worker each, for example 0,1,2,3. Default: all there are.",
        HelpName = "LIST",
    };

    private readonly Option<int?> _cpuWorkers = new("--cpu-workers")
    {
        Description = "Run on N CPU workers. Default when there is no GPU: 2.",
        HelpName = "N",
        CustomParser = NumberArgument.ReadOptional<int>,
    };

    private readonly Option<string?> _maxMemory = new("--max-memory")
    {
        Description = "Exactly these devices, and the bytes each may use, for example 0=10GiB,1=20GiB,cpu=64GiB. What does not fit on the "
            + "devices goes to cpu, then to disk, where those are named; in tensor parallelism each worker spills its own slices.",
        HelpName = "LIST",
    };

    private readonly OffloadOptions _offload = new();

    private readonly Option<string?> _deviceSpeed = new("--device-speed")
    {
        Description = "How fast devices read their memory, in one unit for all, for example 0=3350,1=1000; fit gives faster ones more.",
        HelpName = "LIST",
    };

    private readonly Option<bool> _fallback = new("--fallback")
    {
        Description = "Let a custom --tp-plan that cannot be honoured fall back to a device map (auto always may).",
    };

    private readonly Option<string> _dtype = new("--dtype")
    {
        Description = "auto (the checkpoint's), float32, bfloat16 or float16.",
        HelpName = "DTYPE",
        DefaultValueFactory = _ => "auto",
    };

    private readonly Option<string> _shards = new("--shards")
    {
        Description = "Pre-cut files of 'coordinator shard': auto (default: those in the model folder, where they fit), off, or the folder of sets to use.",
        HelpName = "auto|off|DIR",
        DefaultValueFactory = _ => ShardChoice.Auto,
    };

    private readonly Option<int?> _threads = new("--threads")
    {
        Description = "Compute threads of all CPU workers together. Default: one a core.",
        HelpName = "N",
        CustomParser = NumberArgument.ReadOptional<int>,
    };

    private readonly Option<int?> _loadThreads = new("--load-threads")
    {
        Description = "Threads of all workers together that read weights. Default: one a core, at most 16 a worker.",
        HelpName = "N",
        CustomParser = NumberArgument.ReadOptional<int>,
    };

    private readonly Option<int?> _maxContext = new("--max-context")
    {
        Description = "Longest context in tokens. Default: the model's, at most 8192.",
        HelpName = "N",
        CustomParser = NumberArgument.ReadOptional<int>,
    };

    private readonly Option<int?> _maxSequences = new("--max-sequences")
    {
        Description = "Most sequences computed together. Default: 16.",
        HelpName = "N",
        CustomParser = NumberArgument.ReadOptional<int>,
    };

    private readonly Option<int?> _maxStepTokens = new("--max-step-tokens")
    {
        Description = "Most prompt tokens computed in one step; longer prompts are cut into chunks. Default: 512; on GPUs of 16 GiB and more 2048.",
        HelpName = "N",
        CustomParser = NumberArgument.ReadOptional<int>,
    };

    private readonly Option<int?> _microBatches = new("--micro-batches")
    {
        Description = "Parts that running sequences are divided into, so that the stages of a device map work at once; 1: one stage at a "
            + "time. Default: as many as there are stages, at most 8.",
        HelpName = "N",
        CustomParser = NumberArgument.ReadOptional<int>,
    };

    private readonly Option<int?> _stepTimeout = new("--step-timeout")
    {
        Description = "Seconds after which a worker that does not answer a step counts as lost. Default: 600.",
        HelpName = "S",
        CustomParser = NumberArgument.ReadOptional<int>,
    };

    private readonly Option<LogLevel?> _logLevel = new("--log-level")
    {
        Description = "Trace, Debug, Information, Warning, Error, Critical or None. Default: Warning; serve: Information.",
        HelpName = "LEVEL",
        CustomParser = NumberArgument.ReadLevel,
    };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        Option[] all =
        [
            _model, _weights, _tpPlan, _deviceMap, _maxMemory, .. _offload.All, _deviceSpeed, _gpus, _cpuWorkers, _fallback,
            _dtype, _shards, _threads, _loadThreads, _maxContext, _maxSequences, _maxStepTokens, _microBatches, _stepTimeout, _logLevel,
        ];
        foreach (var option in all)
        {
            command.Options.Add(option);
        }
    }

    /// <summary>What was given on the command line of a command that takes several models; all other options are the same for each.</summary>
    /// <exception cref="UsageException">A list or number cannot be read, or options exclude each other.</exception>
    public IReadOnlyList<ModelArguments> ReadAll(ParseResult result)
    {
        var models = result.GetValue(_model) ?? [];
        return models.Length == 0
            ? [Read(result, null)]
            : [.. models.Select(NamedModel.Parse).Select(model => Read(result, model.Path) with { Name = model.Name })];
    }

    /// <summary>What was given on the command line.</summary>
    /// <exception cref="UsageException">A list or number cannot be read, or options exclude each other.</exception>
    public ModelArguments Read(ParseResult result) => result.GetValue(_model) is { Length: > 1 } several
        ? throw new UsageException($"--model is given {several.Length} times, but this command takes one model; serve takes several.")
        : Read(result, result.GetValue(_model)?.FirstOrDefault());

    private ModelArguments Read(ParseResult result, string? model)
    {
        var deviceMap = result.GetResult(_deviceMap) is null ? null : result.GetValue(_deviceMap) ?? DeviceMapPlan.Fit;
        if (deviceMap is not null && result.GetValue(_tpPlan) is not null)
        {
            throw new UsageException("--tp-plan and --device-map exclude each other: give one of them.");
        }

        var gpus = result.GetValue(_gpus) is { } list ? IntegerList.Parse("--gpus", list) : null;
        if (gpus is not null && result.GetValue(_cpuWorkers) is not null)
        {
            throw new UsageException("--gpus and --cpu-workers exclude each other: give one of them.");
        }

        return new ModelArguments
        {
            Model = model is not ""
                ? model
                : throw new UsageException("--model is empty: give a model folder, or leave it out for the demo model."),
            RandomWeights = ReadWeights(result),
            TpPlan = result.GetValue(_tpPlan),
            DeviceMap = deviceMap,
            MaxMemory = result.GetValue(_maxMemory) is { } memory ? MaxMemory.Parse(memory) : null,
            Offload = _offload.Read(result),
            DeviceSpeeds = result.GetValue(_deviceSpeed) is { } speeds ? DeviceSpeeds.Parse(speeds) : [],
            Gpus = gpus,
            CpuWorkers = NumberArgument.Positive(result, _cpuWorkers),
            Fallback = result.GetValue(_fallback),
            DType = result.GetValue(_dtype) ?? "auto",
            Shards = result.GetValue(_shards) is { Length: > 0 } shards
                ? shards
                : throw new UsageException("--shards is empty: give auto, off or a folder."),
            Threads = NumberArgument.Positive(result, _threads, MostThreads),
            LoadThreads = NumberArgument.Positive(result, _loadThreads, MostThreads),
            MaxContext = NumberArgument.Positive(result, _maxContext),
            MaxSequences = NumberArgument.Positive(result, _maxSequences),
            MaxStepTokens = NumberArgument.Positive(result, _maxStepTokens),
            MicroBatches = NumberArgument.Positive(result, _microBatches, MicroBatches.Most),
            StepTimeout = NumberArgument.Positive(result, _stepTimeout, MostStepSeconds) is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
        };
    }

    /// <summary>The least severe level that is logged.</summary>
    public LogLevel ReadLogLevel(ParseResult result, LogLevel whenNotGiven = LogLevel.Warning) =>
        result.GetValue(_logLevel) ?? whenNotGiven;

    private bool ReadWeights(ParseResult result) => result.GetValue(_weights) switch
    {
        CheckpointWeights => false,
        RandomWeights => true,
        var other => throw new UsageException($"--weights is \"{other}\": give {CheckpointWeights} or {RandomWeights}."),
    };
}
