// Kernels of a group wait for each other across GPUs. Kernels of another group may take the places of those that are waited for, so
// groups of one process run one after the other.
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]
