declare module 'snappyjs' {
  const snappy: {
    /** Throws on data that is no snappy block. */
    uncompress(compressed: Buffer, maxLength?: number): Buffer;
    compress(uncompressed: Buffer): Buffer;
  };
  export default snappy;
}
