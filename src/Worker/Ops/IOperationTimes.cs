namespace TensorParallel.Worker.Ops;

/// <summary>Takes down what a step's time goes to, where that is asked for. Used by the thread that issues operations.</summary>
internal interface IOperationTimes
{
    /// <summary>Times, under a name, what is issued until the result is disposed.</summary>
    IDisposable Time(string kind);

    /// <summary>Something of this step that goes on beside the device's operations and is in the time of none.</summary>
    void Note(string kind, double microseconds);
}
