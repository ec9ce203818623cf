using System.Globalization;
using System.Text;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Cli;

/// <summary>
/// Collects the events of one generation and shows the text as it comes. Without a tokenizer the ids are shown, a blank
/// between. One caller.
/// </summary>
/// <param name="live">Where text is shown at once.</param>
/// <param name="hasText">Whether there is a tokenizer.</param>
internal sealed class GenerateOutput(TextWriter live, bool hasText)
{
    private readonly StringBuilder _text = new();
    private readonly List<SampledToken> _tokens = [];

    /// <summary>Tokens so far.</summary>
    public IReadOnlyList<SampledToken> Tokens => _tokens;

    /// <summary>Text so far; null without a tokenizer.</summary>
    public string? Text => hasText ? _text.ToString() : null;

    /// <summary>The last event; null until it came.</summary>
    public GenerateEvent.Finished? Finished { get; private set; }

    /// <summary>Takes one event.</summary>
    public async Task AddAsync(GenerateEvent generated)
    {
        switch (generated)
        {
            case GenerateEvent.Token token:
                _tokens.Add(token.Sampled);
                var separator = _tokens.Count > 1 ? " " : "";
                await ShowAsync(
                    hasText ? token.Text : separator + token.Sampled.TokenId.ToString(CultureInfo.InvariantCulture));
                break;
            case GenerateEvent.Finished finished:
                Finished = finished;
                await ShowAsync(finished.Text);
                break;
        }
    }

    private async Task ShowAsync(string text)
    {
        if (text.Length > 0)
        {
            _text.Append(text);
            await live.WriteAsync(text);
            await live.FlushAsync();
        }
    }
}
