namespace TensorParallel.Coordinator.Launching;

/// <summary>What a worker must be told to find its coordinator.</summary>
/// <param name="Rank">Its rank.</param>
/// <param name="Address">Where the coordinator listens, for example <c>unix:/tmp/tp-Xy12/hub</c>.</param>
/// <param name="Secret">Goes by environment variable: arguments are readable by every user of the machine.</param>
/// <param name="Device">Its device; null where it need not know before the load command.</param>
internal sealed record WorkerLaunch(int Rank, string Address, string Secret, string? Device = null);
