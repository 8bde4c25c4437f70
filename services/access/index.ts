export { AccessControl } from './access-control.ts';
export { namesOf, readTls, type TlsFiles } from './tls-files.ts';
export { readUsers } from './users-file.ts';
export { WatchedFiles } from './watched-files.ts';
