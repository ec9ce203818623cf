using System.CommandLine;
using TensorParallel.Coordinator.Engine;

namespace TensorParallel.Coordinator.Cli;

/// <summary>Prompts on the command line, as text or as token ids.</summary>
/// <param name="single">Exactly one prompt is wanted; otherwise any number.</param>
internal sealed class PromptOptions(bool single)
{
    private readonly Option<string[]> _text = new("--prompt", "-p")
    {
        Description = single ? "The prompt." : "A prompt; may be given several times.",
        HelpName = "TEXT",
    };

    private readonly Option<string[]> _ids = new("--prompt-ids")
    {
        Description = single
            ? "The prompt as token ids, used as they are, for example 5,6,7."
            : "A prompt as token ids, for example 5,6,7; may be given several times.",
        HelpName = "IDS",
    };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Options.Add(_text);
        command.Options.Add(_ids);
    }

    /// <summary>The prompts: texts first, then ids, each in the order given.</summary>
    /// <exception cref="UsageException">Not exactly one where one is wanted, or ids that cannot be read.</exception>
    public IReadOnlyList<PromptInput> Read(ParseResult result)
    {
        IReadOnlyList<PromptInput> prompts =
        [
            .. (result.GetValue(_text) ?? []).Select(PromptInput.OfText),
            .. (result.GetValue(_ids) ?? []).Select(ids => PromptInput.OfIds(IntegerList.Parse("--prompt-ids", ids))),
        ];
        return !single || prompts.Count == 1
            ? prompts
            : throw new UsageException(
                $"{(prompts.Count == 0 ? "There is no prompt" : $"There are {prompts.Count} prompts")}: "
                + "give one --prompt TEXT or one --prompt-ids LIST.");
    }
}
