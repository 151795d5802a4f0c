// Package inotify reports that files of a folder were replaced or removed.
package inotify
