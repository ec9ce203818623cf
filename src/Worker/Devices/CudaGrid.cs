namespace TensorParallel.Worker.Devices;

/// <summary>Shape of a launch.</summary>
/// <param name="X">Blocks in x.</param>
/// <param name="Y">Blocks in y.</param>
/// <param name="Z">Blocks in z.</param>
/// <param name="Threads">Threads of a block.</param>
/// <param name="SharedBytes">Dynamic shared memory of a block.</param>
/// <param name="ClusterX">Blocks in x that form a cluster; more than 1 from compute capability 9.0 on.</param>
internal readonly record struct CudaGrid(int X, int Y, int Z, int Threads, int SharedBytes = 0, int ClusterX = 1);
