using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.Fit;

/// <summary>Where <c>fit</c> puts a model.</summary>
/// <param name="Stages">One entry a device, in order.</param>
internal sealed record FitPlacement(IReadOnlyList<FitStage> Stages)
{
    /// <summary>What is beside the devices, in the order of use.</summary>
    public IReadOnlyList<OffloadedModule> Spilled => [.. Stages.SelectMany(stage => stage.Offloaded)];

    /// <summary>Time of the slowest stage.</summary>
    public double SlowestStage => Stages.Max(stage => stage.Time);

    /// <summary>The device map, unmerged, in model order.</summary>
    public DeviceMap ToMap(FitModel model)
    {
        var places = Stages
            .SelectMany(stage => stage.Units.SelectMany(unit => unit.Modules.Select(module => (module, stage.Device.Name))))
            .ToDictionary(entry => entry.module, entry => entry.Name);
        foreach (var module in Spilled)
        {
            places[module.Name] = ResidencyNames.NameOf(module.Residency);
        }

        return new DeviceMap([
            .. model.Units.SelectMany(unit => unit.Modules.Select(module => KeyValuePair.Create(module, places[module])))]);
    }
}
