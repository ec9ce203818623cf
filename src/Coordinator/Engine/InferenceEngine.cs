using System.Runtime.CompilerServices;
using TensorParallel.Coordinator.Text;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// Generates text with one worker group: many requests at a time, batched step by step. All members are thread-safe.
/// Detokenising and stop strings run on the caller's side; scheduling runs in the <see cref="EngineLoop"/>.
/// </summary>
internal sealed class InferenceEngine : IAsyncDisposable
{
    private readonly IWorkerGroupFactory _factory;
    private readonly Tokenizer? _tokenizer;
    private readonly TimeProvider _time;
    private readonly WaitingQueue _waiting;
    private readonly EngineLoop _loop;
    private readonly Task _running;
    private readonly CancellationTokenSource _stopping = new();
    private Task _starting = Task.CompletedTask;

    /// <param name="factory">Starts the workers, and starts them again after a loss.</param>
    /// <param name="tokenizer">Null: events carry no text and stop strings are refused.</param>
    /// <param name="options">Queue and restarts.</param>
    /// <param name="time">Clock of timings and pauses.</param>
    /// <param name="logger">Losses and restarts.</param>
    public InferenceEngine(
        IWorkerGroupFactory factory,
        Tokenizer? tokenizer,
        EngineOptions options,
        TimeProvider time,
        ILogger<InferenceEngine> logger)
    {
        _factory = factory;
        _tokenizer = tokenizer;
        _time = time;
        _waiting = new WaitingQueue(options.MaxWaiting);
        var starter = new WorkerGroupStarter(factory, options, time, logger);
        _loop = new EngineLoop(
            _waiting, starter, options.MicroBatches, time, logger, state => StateChanged?.Invoke(state), _stopping.Token);
        _running = Task.Run(_loop.RunAsync);
    }

    /// <summary>Told each new state by the engine, on whichever thread runs it: handlers must return quickly and not throw.</summary>
    public event Action<EngineState>? StateChanged;

    /// <summary>What the engine is doing.</summary>
    public EngineState State => _loop.Statistics.State;

    /// <summary>Counters at this moment.</summary>
    public EngineStatistics Statistics => _loop.Statistics;

    /// <summary>
    /// Starts the workers and returns when requests are computed; requests sent before that wait. Called once. Throws
    /// what the factory threw; the engine has then failed.
    /// </summary>
    public Task StartAsync(CancellationToken cancellationToken) => _starting = StartOnceAsync(cancellationToken);

    private async Task StartOnceAsync(CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stopping.Token);
        IWorkerGroup group;
        try
        {
            group = await _factory.StartAsync(either.Token);
        }
        catch (Exception exception)
        {
            // The caller gets the exception: it is not said twice.
            _loop.Fail(new EngineUnavailableException($"The workers could not be started: {exception.Message}"), LogLevel.Debug);
            throw;
        }

        if (!await _loop.AttachAsync(group))
        {
            await group.DisposeAsync();
            throw new OperationCanceledException("The engine was stopped while its workers were starting.");
        }
    }

    /// <summary>
    /// A place in the queue for a request that waits for something else first: it counts among those that wait, and where too many do it is
    /// refused now. Dispose it after <see cref="GenerateAsync"/>.
    /// </summary>
    /// <exception cref="EngineBusyException">As many wait as may.</exception>
    /// <exception cref="EngineUnavailableException">The engine takes no requests.</exception>
    public QueuePlace Reserve()
    {
        if (_loop.Refusal is { } refusal)
        {
            throw new EngineUnavailableException(refusal);
        }

        return _waiting.TryReserve() ? new QueuePlace(_waiting) : throw new EngineBusyException(_waiting.Capacity);
    }

    /// <summary>
    /// Runs one request: its tokens in order, then <see cref="GenerateEvent.Finished"/>. Ending the enumeration early,
    /// or cancelling it, ends the computation. Throws, at the first or a later move: <see cref="RequestException"/>,
    /// <see cref="EngineBusyException"/>, <see cref="EngineUnavailableException"/>, <see cref="WorkerLostException"/>.
    /// </summary>
    /// <param name="request">What to generate.</param>
    /// <param name="cancellationToken">Ends the computation.</param>
    /// <param name="ended">
    /// Called when nothing is computed for it any more, on any thread, whatever is still to be read; not where it was never accepted.
    /// </param>
    /// <param name="place">Its place in the queue; null: it gets one now, or is refused.</param>
    public async IAsyncEnumerable<GenerateEvent> GenerateAsync(
        GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken, Action? ended = null, QueuePlace? place = null)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var text = new GenerationText(_tokenizer, request.StopStrings);
        var clock = new GenerationClock(request.PromptIds.Count, _time);
        var sequence = Submit(request, ended, place);
        try
        {
            await foreach (var (sampled, timestamp, finish) in sequence.Output.ReadAllAsync(cancellationToken))
            {
                cancellationToken.ThrowIfCancellationRequested();
                clock.Count(timestamp);
                var piece = text.Append(sampled.TokenId);
                if (piece.Stopped)
                {
                    // Before the reader takes its time over the last event: nothing more is to be computed.
                    _loop.End(sequence);
                }

                yield return new GenerateEvent.Token(sampled, piece.Text);
                if (piece.Stopped)
                {
                    yield return new GenerateEvent.Finished(FinishReason.Stop, string.Empty, clock.Read());
                    yield break;
                }

                if (finish is { } reason)
                {
                    var rest = text.Flush();
                    yield return new GenerateEvent.Finished(
                        rest.Stopped ? FinishReason.Stop : reason, rest.Text, clock.Read());
                }
            }
        }
        finally
        {
            _loop.End(sequence);
        }
    }

    /// <summary>
    /// Completes when no sequence is computed and no step is on its way; from then on none is sent until <see cref="Resume"/>. Requests
    /// that come meanwhile wait. Completes also when the engine stops, or has no workers.
    /// </summary>
    public Task SuspendAsync() => _loop.SuspendAsync();

    /// <summary>Steps are sent again; without effect where nothing is suspended.</summary>
    public void Resume() => _loop.Resume();

    /// <summary>
    /// Refuses new requests, finishes the accepted ones and stops the workers. What is not finished within
    /// <paramref name="grace"/>, or when the token is cancelled, fails with <see cref="EngineUnavailableException"/>. Without effect on an
    /// engine that has stopped; what went wrong then was thrown then.
    /// </summary>
    public async Task DrainAsync(TimeSpan grace, CancellationToken cancellationToken)
    {
        if (_running.IsCompleted)
        {
            return;
        }

        _loop.Drain();
        if (grace > TimeSpan.Zero)
        {
            await _loop.Drained.WaitAsync(grace, _time, cancellationToken)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await _stopping.CancelAsync();
        _loop.Stop();
        await _running;

        // Workers that were being started are on their way out: not before they are gone is their memory free.
        await _starting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>Stops at once: what is running fails.</summary>
    public async ValueTask DisposeAsync()
    {
        await DrainAsync(TimeSpan.Zero, CancellationToken.None);
        _stopping.Dispose();
    }

    private Sequence Submit(GenerateRequest request, Action? ended, QueuePlace? place)
    {
        if (_tokenizer is null && request.StopStrings.Count > 0)
        {
            throw new RequestException(["Stop strings need a tokenizer, and the model folder has no tokenizer.json."]);
        }

        if (place is not null && _loop.Refusal is { } refusal)
        {
            throw new EngineUnavailableException(refusal); // since the place was reserved
        }

        (place ?? Reserve()).Take();
        var sequence = new Sequence(request, ended);
        _loop.Enqueue(sequence);
        return sequence;
    }
}
