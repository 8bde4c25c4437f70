/** What a function of a template returns as error; execution adds where. */
export class FunctionError extends Error {
  override readonly name = 'FunctionError';
}
