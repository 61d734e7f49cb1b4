/** On every object of a stack: its name. */
export const NAMESPACE_LABEL = 'com.docker.stack.namespace'
/** On a service of a stack: the image as the file names it, without digest. */
export const IMAGE_LABEL = 'com.docker.stack.image'
