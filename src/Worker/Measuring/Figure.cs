namespace TensorParallel.Worker.Measuring;

/// <summary>One measured figure of a rank.</summary>
/// <param name="Name">What was measured.</param>
/// <param name="Microseconds">Time: of one call, or of all <paramref name="Count"/> together where they are counted.</param>
/// <param name="Bytes">Bytes of a call; 0 where that means nothing.</param>
/// <param name="Rows">Rows of the step; 0 outside steps.</param>
/// <param name="Count">Calls; 1 where one figure stands for them.</param>
/// <param name="Steps">Steps in which the calls were made; 0 outside steps.</param>
internal readonly record struct Figure(
    string Name, double Microseconds, long Bytes = 0, int Rows = 0, int Count = 1, int Steps = 0);
