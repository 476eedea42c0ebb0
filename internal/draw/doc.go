// Package draw shows the histories of a node as a picture: for terminals as
// text, for documents as SVG.
//
//	LSN  1             200            400            600            800         1001
//	     |             |              |              |              |              |
//	1    ======================xxxxx..???..==================
//	            B      P                  *
//	2                      \--------------------------------=======================
//
//	= can be restored   . archived, but nothing leads to it   x declared lost
//	? missing           B base   P restore point   * both
//
// The axis is the LSN, which is dense and always known; times stand at the
// ticks, interpolated between the ends of windows. Each timeline has a row, and
// begins at a line from where it left its parent. Everything has at least the
// width of one mark, so that nothing that matters is too small to be seen.
//
// A History holds no resources. Nothing here makes requests.
package draw
