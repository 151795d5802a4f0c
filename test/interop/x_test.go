package interop
import ("testing"; "wgd/test/lab")
func TestX(t *testing.T){ _ = lab.Ours }
