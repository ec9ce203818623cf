namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>One kind of operation in one kind of step.</summary>
/// <param name="Phase"><c>prefill</c> or <c>decode</c>.</param>
/// <param name="Batch">Sequences of the cell.</param>
/// <param name="Rows">Rows of the step.</param>
/// <param name="Name">Kind: <c>attention</c>, <c>norm</c>, …; products have their weights' names; <c>rest</c> is sampling, copies and waits, <c>step</c> the whole.</param>
/// <param name="CallsPerStep">Calls in a step.</param>
/// <param name="MicrosecondsPerStep">Of all calls of a step: by the slowest rank, in a device map of all ranks.</param>
internal sealed record OperationReport(
    string Phase, int Batch, int Rows, string Name, double CallsPerStep, double MicrosecondsPerStep);
