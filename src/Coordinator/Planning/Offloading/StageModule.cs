namespace TensorParallel.Coordinator.Planning.Offloading;

/// <summary>Embedding, block or head of a stage.</summary>
/// <param name="Name">As the model names it.</param>
/// <param name="Bytes">Its weights.</param>
/// <param name="SlotBytes">Its room in a slot, every tensor aligned.</param>
internal readonly record struct StageModule(string Name, long Bytes, long SlotBytes);
