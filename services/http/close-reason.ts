/** A close frame has 125 bytes for its code and its text (RFC 6455, 5.5). */
const MAX_BYTES = 123;

/** As much of a text as a close frame takes, cut between characters. Of more, `ws` makes an exception. */
export function closeReason(text: string): string {
  return text.slice(0, new TextEncoder().encodeInto(text, new Uint8Array(MAX_BYTES)).read);
}
