namespace TensorParallel.Coordinator.Text;

/// <summary>
/// The 256 printable characters by which byte-level vocabularies write bytes: bytes that are printable in Latin-1
/// stand for themselves, the other 68 become U+0100 and following in order (space, 0x20, is the 33rd: U+0120 Ġ).
/// </summary>
internal static class ByteAlphabet
{
    private const char FirstSubstitute = '\u0100';

    private static readonly char[] s_characters = BuildCharacters();
    private static readonly short[] s_bytes = BuildBytes();

    public static char CharacterOf(byte value) => s_characters[value];

    /// <summary>The byte that a character stands for, or -1.</summary>
    public static int ByteOf(char character) => character < s_bytes.Length ? s_bytes[character] : -1;

    private static char[] BuildCharacters()
    {
        var characters = new char[256];
        var substitute = FirstSubstitute;
        for (var value = 0; value < 256; value++)
        {
            var printable = value is (>= '!' and <= '~') or (>= 0xa1 and <= 0xac) or (>= 0xae and <= 0xff);
            characters[value] = printable ? (char)value : substitute++;
        }

        return characters;
    }

    private static short[] BuildBytes()
    {
        var bytes = new short[s_characters.Max() + 1];
        Array.Fill(bytes, (short)-1);
        for (var value = 0; value < 256; value++)
        {
            bytes[s_characters[value]] = (short)value;
        }

        return bytes;
    }
}
