// Package page has tests only: the page of wgd web, in Chromium, which the test controls by
// its debugger. It is a separate module, so that wgd does not depend on chromedp.
package page
