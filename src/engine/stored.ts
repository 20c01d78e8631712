/** What an engine stores: text as it is, or bytes. */
export type Stored = string | Uint8Array
