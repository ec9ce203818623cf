using TensorParallel.Coordinator.Planning.DeviceMaps;

namespace TensorParallel.Coordinator.Planning.Fit;

/// <summary>Where <c>fit</c> puts a model.</summary>
/// <param name="Stages">One entry a device, in order.</param>
/// <param name="Spilled">Units beside the devices, each with its place: <c>cpu</c> or <c>disk</c>.</param>
internal sealed record FitPlacement(
    IReadOnlyList<FitStage> Stages, IReadOnlyList<KeyValuePair<FitUnit, string>> Spilled)
{
    /// <summary>Time of the slowest stage; layers that are spilled are not in it.</summary>
    public double SlowestStage => Stages.Max(stage => stage.Time);

    /// <summary>The device map, unmerged, in model order.</summary>
    public DeviceMap ToMap(FitModel model)
    {
        var places = Stages
            .SelectMany(stage => stage.Units.Select(unit => KeyValuePair.Create(unit, stage.Device.Name)))
            .Concat(Spilled)
            .ToDictionary();
        return new DeviceMap([
            .. model.Units.SelectMany(unit => unit.Modules.Select(module => KeyValuePair.Create(module, places[unit])))]);
    }
}
