namespace TensorParallel.Coordinator.Text.Decoders;

/// <summary>
/// Takes the text of tokens in pieces. What has been written never changes again, which is what makes streaming equal
/// to decoding everything at once. Calls: (Write* EndToken)* Finish. Owned by one stream, one thread at a time.
/// </summary>
internal interface ITokenSink
{
    /// <summary>More text of the current token; never half a surrogate pair.</summary>
    void Write(ReadOnlySpan<char> text);

    /// <summary>The current token is complete (it may be empty).</summary>
    void EndToken();

    /// <summary>No more tokens: whatever was held back goes on now.</summary>
    void Finish();
}
