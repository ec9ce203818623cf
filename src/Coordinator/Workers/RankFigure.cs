namespace TensorParallel.Coordinator.Workers;

/// <summary>A figure that a rank measured; see <c>Figure</c> in worker.proto.</summary>
/// <param name="Name">What.</param>
/// <param name="Microseconds">Time of one call, or of all that are counted.</param>
/// <param name="Bytes">Bytes of a call.</param>
/// <param name="Rows">Rows of the step; 0 outside steps.</param>
/// <param name="Count">Calls.</param>
/// <param name="Steps">Steps in which they were made.</param>
internal readonly record struct RankFigure(
    string Name, double Microseconds, long Bytes, int Rows, int Count, int Steps);
