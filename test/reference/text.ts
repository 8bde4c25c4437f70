/** Length in bytes of UTF-8. */
export function encodedLength(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}
