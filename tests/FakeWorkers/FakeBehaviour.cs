namespace TensorParallel.FakeWorkers;

/// <summary>
/// What a fake worker does wrong. It travels as the load command's model folder: "StepHang@1" is rank 1 hanging.
/// </summary>
internal enum FakeBehaviour
{
    /// <summary>Nothing.</summary>
    Good,

    /// <summary>Loading reports progress once and goes on for ever.</summary>
    LoadHang,

    /// <summary>Loading throws.</summary>
    LoadThrow,

    /// <summary>
    /// Loading writes a line that is no log line to the error output and ends the process with code 3.
    /// </summary>
    LoadExit,

    /// <summary>A step never ends, and its thread is busy.</summary>
    StepSpin,

    /// <summary>A step throws.</summary>
    StepThrow,

    /// <summary>A step is answered under another number.</summary>
    StepWrongNumber,

    /// <summary>Measuring throws.</summary>
    MeasureThrow,

    /// <summary>A step throws as a collective does when its peer is gone.</summary>
    StepPeerGone,
}
