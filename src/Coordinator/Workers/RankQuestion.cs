namespace TensorParallel.Coordinator.Workers;

/// <summary>A question that a rank answers once; one is open at a time. Thread-safe.</summary>
internal sealed class RankQuestion<T>
{
    private volatile TaskCompletionSource<T>? _open;

    /// <summary>Opens it; the task does not end when the rank is lost. Send the question afterwards.</summary>
    public Task<T> Open()
    {
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        _open = answer;
        return answer.Task;
    }

    /// <summary>The rank's answer; false when nothing was asked.</summary>
    public bool TryAnswer(T answer) => _open?.TrySetResult(answer) == true;
}
