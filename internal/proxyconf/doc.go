// Package proxyconf reads the configuration of `wgd proxy`: which tunnel, and which
// services use it.
//
// A file is either one of wg-quick(8), which package wgconf reads, or one of wireproxy:
// the same sections, or WGConfig = FILE instead, and a section for each service.
// Services can also be options of the command line.
//
// The files of wireproxy are read by its rules, which are those of INI files. They are
// converted line by line to the rules of wg-quick, so that the numbers of lines stay,
// and package wgconf reads the result. The rules were found by experiment with
// wireproxy 1.0.9 and its parser (go-ini 1.67): names of sections and keys are the same
// in capitals and small letters; = or : ends a key; # and ; begin a comment anywhere
// outside of quotes; of a repeated key in the section of a service, the first one
// counts.
package proxyconf
