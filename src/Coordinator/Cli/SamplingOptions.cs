using System.CommandLine;
using TensorParallel.Coordinator.Engine;

namespace TensorParallel.Coordinator.Cli;

/// <summary>The options that say how tokens are chosen, with Hugging Face's names.</summary>
internal sealed class SamplingOptions
{
    private readonly Option<int?> _maxNewTokens = new("--max-new-tokens", "-n")
    {
        Description = "Most tokens to generate. Default: 128, or what the context leaves.",
        HelpName = "N",
        CustomParser = NumberArgument.ReadOptional<int>,
    };

    private readonly Option<int> _minNewTokens = new("--min-new-tokens")
    {
        Description = "End-of-sequence ids are banned before this many tokens.",
        HelpName = "N",
        CustomParser = NumberArgument.Read<int>,
    };

    private readonly Option<float?> _temperature = new("--temperature", "-t")
    {
        Description = "0 (default) is greedy; otherwise logits are divided by it.",
        HelpName = "X",
        CustomParser = NumberArgument.ReadOptional<float>,
    };

    private readonly Option<int> _topK = new("--top-k")
    {
        Description = "Keep the K best tokens; 0: all.",
        HelpName = "K",
        CustomParser = NumberArgument.Read<int>,
    };

    private readonly Option<float?> _topP = new("--top-p")
    {
        Description = "Keep the smallest set that reaches this probability. Default: 1, all.",
        HelpName = "P",
        CustomParser = NumberArgument.ReadOptional<float>,
    };

    private readonly Option<float> _minP = new("--min-p")
    {
        Description = "Drop tokens below this fraction of the best one's probability.",
        HelpName = "P",
        CustomParser = NumberArgument.Read<float>,
    };

    private readonly Option<float?> _repetitionPenalty = new("--repetition-penalty")
    {
        Description = "Above 1 makes tokens of prompt and output less likely. Default: 1.",
        HelpName = "X",
        CustomParser = NumberArgument.ReadOptional<float>,
    };

    private readonly Option<float> _presencePenalty = new("--presence-penalty")
    {
        Description = "Subtracted once from the logit of every generated token.",
        HelpName = "X",
        CustomParser = NumberArgument.Read<float>,
    };

    private readonly Option<float> _frequencyPenalty = new("--frequency-penalty")
    {
        Description = "Subtracted from a token's logit for each time it was generated.",
        HelpName = "X",
        CustomParser = NumberArgument.Read<float>,
    };

    private readonly Option<ulong?> _seed = new("--seed")
    {
        Description = "The same seed gives the same text at any number of workers. Default: drawn.",
        HelpName = "N",
        CustomParser = NumberArgument.ReadOptional<ulong>,
    };

    private readonly Option<string[]> _stop = new("--stop")
    {
        Description = "Text that ends the output (it is left out); may be given several times.",
        HelpName = "TEXT",
    };

    private readonly Option<bool> _ignoreEos = new("--ignore-eos")
    {
        Description = "Do not end at an end-of-sequence id.",
    };

    private readonly Option<int> _logprobs = new("--logprobs")
    {
        Description = "Report the log-probabilities of the K best tokens of each step, at most 20.",
        HelpName = "K",
        CustomParser = NumberArgument.Read<int>,
    };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        Option[] all =
        [
            _maxNewTokens, _minNewTokens, _temperature, _topK, _topP, _minP, _repetitionPenalty, _presencePenalty,
            _frequencyPenalty, _seed, _stop, _ignoreEos, _logprobs,
        ];
        foreach (var option in all)
        {
            command.Options.Add(option);
        }
    }

    /// <summary>What was given; null means "not given". Values are judged where every request is.</summary>
    public GenerateOptions Read(ParseResult result) => new()
    {
        MaxNewTokens = result.GetValue(_maxNewTokens),
        MinNewTokens = result.GetValue(_minNewTokens),
        Temperature = result.GetValue(_temperature),
        TopK = result.GetValue(_topK),
        TopP = result.GetValue(_topP),
        MinP = result.GetValue(_minP),
        RepetitionPenalty = result.GetValue(_repetitionPenalty),
        PresencePenalty = result.GetValue(_presencePenalty),
        FrequencyPenalty = result.GetValue(_frequencyPenalty),
        Seed = result.GetValue(_seed),
        Stop = result.GetValue(_stop) ?? [],
        IgnoreEos = result.GetValue(_ignoreEos),
        LogProbs = result.GetValue(_logprobs),
    };
}
