using System.Globalization;
using TensorParallel.Coordinator.Cli;

// Numbers are read and written the same way on every machine.
CultureInfo.DefaultThreadCurrentCulture = CultureInfo.InvariantCulture;
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
Console.SetOut(StandardOutput.Open());
return await CoordinatorCommands.RunAsync(args);
