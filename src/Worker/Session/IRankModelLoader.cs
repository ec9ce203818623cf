namespace TensorParallel.Worker.Session;

/// <summary>Makes a rank ready: opens its device, joins its peers, reads its weights.</summary>
internal interface IRankModelLoader
{
    /// <summary>Loads; called once, on the compute thread.</summary>
    /// <param name="load">What to load.</param>
    /// <param name="bootstrap">Carries rank 0's bootstrap blob to every rank.</param>
    /// <param name="progress">Told bytes done and total as often as the loader likes, from any thread.</param>
    /// <param name="cancellationToken">Fires when the coordinator is gone.</param>
    IRankModel Load(
        RankLoad load, BootstrapExchange bootstrap, Action<long, long> progress, CancellationToken cancellationToken);
}
